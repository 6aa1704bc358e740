raise RuntimeError("takes no part in the package build")
