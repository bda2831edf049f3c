-- What Millrace needs on a source: to read the binary log, and to ask what is in it.
-- Not written to the binary log: the account belongs to this server alone.
SET sql_log_bin = 0;
CREATE USER 'millrace_source'@'%' IDENTIFIED BY 'try-out-source' REQUIRE SSL;
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'millrace_source'@'%';
