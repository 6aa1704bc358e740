"""Two images or versions -> their differences.

- ``side``: a version, a path or the name of an image -> what is known of it
- ``history``: the last builds of a project, by their versions
- ``content``: the layers of an image, and the distributions in them
- ``composition``: an image -> its layers, and the part of the image that each belongs to
- ``difference``: two sides -> layers, dependencies and DAGs that differ
- ``rebuilt``: an image that was built again, and the layers and files that differ
- ``commits``: the commits between the two
"""
