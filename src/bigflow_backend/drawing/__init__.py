"""Facts -> pictures.

- ``bar``: sizes of named parts -> a bar, as a picture or in a terminal
- ``graph``: names that wait for each other -> a picture
- ``svg``: boxes, texts and arrows -> an SVG document
"""
