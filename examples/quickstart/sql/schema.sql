-- What the DBA of the quickstart owns in MariaDB. `load` runs it as root; BEDS works as user `beds`.
-- Column names are the DBA's business: clients see the names of the templates.

DROP VIEW IF EXISTS v_accounts;
DROP TABLE IF EXISTS account_entries, bank_accounts, iso_countries, iso_languages, beds_inbox;

CREATE TABLE iso_countries (
    a2           CHAR(2)      NOT NULL PRIMARY KEY,
    a3           CHAR(3)      NOT NULL,
    num          CHAR(3)      NOT NULL,
    short_name   VARCHAR(80)  NOT NULL,
    long_name    VARCHAR(120) NULL,
    everyday     VARCHAR(80)  NULL,
    flag         VARCHAR(8)   NOT NULL,
    UNIQUE KEY a3 (a3),
    UNIQUE KEY num (num),
    KEY short_name (short_name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE iso_languages (
    alpha3_lng   CHAR(3)     NOT NULL PRIMARY KEY,
    alpha2_lng   CHAR(2)     NULL,
    name_lng     VARCHAR(80) NOT NULL,
    scope_lng    CHAR(1)     NOT NULL COMMENT 'I individual, M macrolanguage, S special',
    type_lng     CHAR(1)     NOT NULL COMMENT 'L living, E extinct, H historical, A ancient, C constructed, S special',
    inverted_lng VARCHAR(80) NULL,
    UNIQUE KEY alpha2 (alpha2_lng),
    KEY name (name_lng),
    KEY scope_name (scope_lng, name_lng),
    KEY type_name (type_lng, name_lng)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE bank_accounts (
    account_no BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    holder     VARCHAR(80)   NOT NULL,
    balance    DECIMAL(18,2) NOT NULL DEFAULT 0.00,
    state      VARCHAR(10)   NOT NULL DEFAULT 'open',
    opened_at  DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    risk_note  VARCHAR(200)  NULL COMMENT 'not in the view: no application ever sees it',
    KEY holder (holder, opened_at),
    CHECK (balance >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE account_entries (
    entry_no   BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_no BIGINT        NOT NULL,
    booked_at  DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    amount     DECIMAL(18,2) NOT NULL,
    other_no   BIGINT        NOT NULL,
    KEY account (account_no, booked_at),
    FOREIGN KEY (account_no) REFERENCES bank_accounts (account_no)
) ENGINE = InnoDB;

CREATE VIEW v_accounts AS
    SELECT account_no, holder, balance, state, opened_at FROM bank_accounts;

DELIMITER //

-- Moves money. Does not commit: BEDS commits the effect together with the reply that it stores.
CREATE OR REPLACE PROCEDURE sp_transfer(
    IN p_from BIGINT, IN p_to BIGINT, IN p_amount DECIMAL(18,2), OUT p_new_balance DECIMAL(18,2))
MODIFIES SQL DATA
BEGIN
    DECLARE v_missing BOOLEAN DEFAULT FALSE;
    DECLARE v_balance DECIMAL(18,2);
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET v_missing = TRUE;

    IF p_amount <= 0 OR p_from = p_to THEN
        SIGNAL SQLSTATE '45003' SET MESSAGE_TEXT = 'the amount must be positive and the accounts different';
    END IF;
    -- Both rows in the order of their keys, so that opposing transfers do not deadlock.
    SELECT balance INTO v_balance FROM bank_accounts
        WHERE account_no = LEAST(p_from, p_to) FOR UPDATE;
    SELECT balance INTO v_balance FROM bank_accounts
        WHERE account_no = GREATEST(p_from, p_to) FOR UPDATE;
    IF v_missing THEN
        SIGNAL SQLSTATE '45002' SET MESSAGE_TEXT = 'no such account';
    END IF;
    SELECT balance INTO v_balance FROM bank_accounts WHERE account_no = p_from;
    IF v_balance < p_amount THEN
        SIGNAL SQLSTATE '45001' SET MESSAGE_TEXT = 'insufficient funds';
    END IF;
    UPDATE bank_accounts SET balance = balance - p_amount WHERE account_no = p_from;
    UPDATE bank_accounts SET balance = balance + p_amount WHERE account_no = p_to;
    INSERT INTO account_entries (account_no, amount, other_no)
        VALUES (p_from, -p_amount, p_to), (p_to, p_amount, p_from);
    SET p_new_balance = v_balance - p_amount;
END //

-- One month of an account: its total, then its entries.
CREATE OR REPLACE PROCEDURE sp_statement(IN p_account BIGINT, IN p_month DATE)
READS SQL DATA
BEGIN
    DECLARE v_from DATE DEFAULT DATE_FORMAT(p_month, '%Y-%m-01');

    SELECT COALESCE(SUM(amount), 0.00) AS total, COUNT(*) AS entries FROM account_entries
    WHERE account_no = p_account AND booked_at >= v_from AND booked_at < v_from + INTERVAL 1 MONTH;

    SELECT booked_at AS at, amount, other_no AS other FROM account_entries
    WHERE account_no = p_account AND booked_at >= v_from AND booked_at < v_from + INTERVAL 1 MONTH
    ORDER BY booked_at, entry_no;
END //

DELIMITER ;
