# The history of builds is that of one directory: a scene that needs a server is not copied.
# needs: registry
bigflow start-project reports --docker-repository registry.example.com/reports
cd reports
git add --all
git commit --quiet --message "Start the project"
git tag v0.1.0
bigflow build
sed -i 's/^dependencies = .*/dependencies = ["six==1.17.0"]/' pyproject.toml
sed -i 's/"@daily"/"@hourly"/; s/\[greet\]/[greet, Greet("again")]/' reports/workflow.py
git commit --quiet --all --message "Greet each hour, twice"
git tag v0.2.0
bigflow build
