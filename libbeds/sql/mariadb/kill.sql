-- Ends statements of BEDS that are late. A node does so by KILL, from a connection of its own. Every
-- account may KILL its own sessions, but not while a procedure or function with SQL SECURITY DEFINER
-- runs there for another account: then BEDS calls this procedure. Without it (and without the right
-- CONNECTION ADMIN, which allows more than is needed) such a procedure goes on until it is done, however
-- late; its caller is told by the deadline all the same.
--
-- Run once per database, by an account that may KILL the sessions of others (CONNECTION ADMIN; MySQL:
-- CONNECTION_ADMIN), because it runs with that account's rights:
--
--   bedsctl schema | mariadb DATABASE
--   GRANT EXECUTE ON PROCEDURE DATABASE.beds_kill TO 'beds'@'…';
--
-- It ends only sessions that allow it: those that hold the user lock beds_kill/NUMBER of their own
-- number, as the sessions of BEDS do.
DROP PROCEDURE IF EXISTS beds_kill;
DELIMITER //
CREATE PROCEDURE beds_kill(IN p_session BIGINT UNSIGNED, IN p_connection BOOLEAN)
    SQL SECURITY DEFINER
    COMMENT 'BEDS: ends the statement or the connection of a session that allows it'
BEGIN
    IF IS_USED_LOCK(CONCAT('beds_kill/', p_session)) = p_session THEN
        IF p_connection THEN
            KILL CONNECTION p_session;
        ELSE
            KILL QUERY p_session;
        END IF;
    END IF;
END//
DELIMITER ;
