TABLE = "rides"
