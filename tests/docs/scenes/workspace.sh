# needs: engine
uv init --quiet --bare workspace
cd workspace
git init --quiet
uv init --quiet --package reports
uv init --quiet --package common
cd reports
