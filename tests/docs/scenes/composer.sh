# from: released
# needs: registry gcs_store
