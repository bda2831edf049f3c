-- What Millrace needs on a target.
-- Not written to the binary log: otherwise the account's GTID is one that the source does not have.
SET sql_log_bin = 0;
CREATE USER 'millrace_target'@'%' IDENTIFIED BY 'try-out-target' REQUIRE SSL;
-- To write what the source has written: rows (BINLOG), GTIDs, the session settings of the original statements.
GRANT REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN, XA_RECOVER_ADMIN ON *.* TO 'millrace_target'@'%';
-- Rows and tables of every schema that is replicated.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES ON *.* TO 'millrace_target'@'%';
-- Views, triggers, events, procedures, in the name of whoever defined them on the source.
GRANT CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON *.* TO 'millrace_target'@'%';
GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER ON *.* TO 'millrace_target'@'%';
-- Only where root (a system user) has defined some of them.
GRANT SYSTEM_USER ON *.* TO 'millrace_target'@'%';
