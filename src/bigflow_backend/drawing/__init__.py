"""Facts -> pictures.

- ``svg``: boxes, texts and arrows -> an SVG document
"""
