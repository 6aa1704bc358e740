from pipelines.workflow import ANSWER


def test_answer():
    assert ANSWER == 42
