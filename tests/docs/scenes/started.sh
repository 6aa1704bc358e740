bigflow start-project weather-reports
cd weather-reports
git add --all
git commit --quiet --message "Start the project"
