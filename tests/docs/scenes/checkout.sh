git clone --quiet "$CHECKOUT" bigflow-backend
cd bigflow-backend
