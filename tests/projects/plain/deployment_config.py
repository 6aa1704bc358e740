raise RuntimeError("not imported by a build of the package")
