# needs: engine
uv init --quiet --package sales
cd sales
uv add --quiet six
git add --all
git commit --quiet --message "A project of uv"
