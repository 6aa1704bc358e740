git init --quiet --bare origin.git
bigflow start-project demo
cd demo
git add --all
git commit --quiet --message "Start the project"
git tag v1.2.0
for number in 1 2 3; do
  git commit --quiet --allow-empty --message "Change $number"
done
git remote add origin ../origin.git
git push --quiet --set-upstream origin main
