# from: released
# needs: registry s3_store
