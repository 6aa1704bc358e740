# from: started
git tag v1.2.0
