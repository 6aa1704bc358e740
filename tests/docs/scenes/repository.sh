mkdir pipelines
cd pipelines
git init --quiet
