from pipelines._fast import answer
