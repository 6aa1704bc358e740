from helpers import ONE
