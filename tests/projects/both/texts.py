DESCRIPTION = "two places, one meaning"
