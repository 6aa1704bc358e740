raise AssertionError("discovery runs no __main__ module")
