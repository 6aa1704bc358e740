# from: released
# needs: registry
