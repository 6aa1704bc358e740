# needs: engine
bigflow start-project reports --docker-repository registry.example.com/reports
cd reports
sed -i 's/"greet"/"load"/' reports/workflow.py
git add --all
git commit --quiet --message "Start the project"
git tag v1.2.0
bigflow build --load
export DB_PASSWORD=secret
