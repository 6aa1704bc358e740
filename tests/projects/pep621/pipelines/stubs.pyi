answer: int
