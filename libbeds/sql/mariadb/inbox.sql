-- The inbox of BEDS: one row for every write that was answered for good, stored in the transaction of
-- its effect. A message that comes again finds its row and gets its first reply; the write happens
-- once. One table per database, run once by the DBA:
--
--   bedsctl schema | mariadb DATABASE
--   GRANT SELECT, INSERT, DELETE ON DATABASE.beds_inbox TO 'beds'@'…';
--
-- principal  who asked (the AMQP user, or `anonymous`); ids of different principals never meet, not even
--            those whose names differ in blanks at the end: bytes, compared exactly (255 characters)
-- id         the operation's id, as its sender chose it (bytes, compared exactly)
-- content    128 bits over the operation; the same id with other content is refused
-- reply      the stored reply; may hold data of the operation, so treat it like the tables it is about
-- created    the server's time; rows older than `inbox_window` are deleted by the nodes, few at a time
--
-- Keep it InnoDB: the row and the effect must commit together. With an engine that cannot roll back all
-- writes are refused.
CREATE TABLE IF NOT EXISTS beds_inbox (
    principal VARBINARY(1020) NOT NULL,
    id        VARBINARY(512)  NOT NULL,
    content   BINARY(16)      NOT NULL,
    reply     MEDIUMBLOB      NOT NULL,
    created   TIMESTAMP(6)    NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (principal, id),
    KEY created (created)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
  COMMENT = 'BEDS: operations answered, so that a repeated one happens once';
