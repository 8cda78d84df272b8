# Sourced by the scripts: `maven GROUP ARTIFACT VERSION ...` has Maven fetch a library, or several, into its own store. The
# file classpath in the current folder then says what Java needs for them.
maven() {
  local name=$2
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId>'
    echo '<version>1</version><dependencies>'
    while [ $# -gt 0 ]; do
      echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"
      shift 3
    done
    echo '</dependencies></project>'
  } >pom.xml
  mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath >mvn.log 2>&1 || { tail mvn.log; exit 1; }
  grep -o "$name-[0-9.]*jar" classpath | sed -n 1p
}
