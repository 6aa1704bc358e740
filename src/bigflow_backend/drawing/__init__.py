"""Facts -> pictures.

- ``graph``: names that wait for each other -> a picture
- ``svg``: boxes, texts and arrows -> an SVG document
"""
