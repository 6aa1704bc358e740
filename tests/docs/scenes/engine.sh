# needs: engine
