# Sourced by the scripts: `maven GROUP ARTIFACT VERSION` has Maven fetch a library into its own store. The file classpath
# in the current folder then says what Java needs for it.
maven() {
  cat >pom.xml <<XML
<project>
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>
  </dependencies>
</project>
XML
  mvn -q -B dependency:build-classpath -Dmdep.outputFile=classpath >mvn.log 2>&1 || { tail mvn.log; exit 1; }
  grep -o "$2-[0-9.]*jar" classpath | sed -n 1p
}
