# needs: registry
bigflow start-project reports --docker-repository registry.example.com/reports
cd reports
git add --all
git commit --quiet --message "Start the project"
git tag v1.2.0
bigflow build
