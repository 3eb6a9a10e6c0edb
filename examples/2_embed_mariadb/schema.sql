-- The DBA's side: tables, views and procedures. No program ever sees these names.
CREATE OR REPLACE TABLE lib_books (
    book_no  INT         NOT NULL PRIMARY KEY,
    caption  VARCHAR(80) NOT NULL,
    copies   INT         NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO lib_books VALUES (1, 'Dune', 1), (2, 'Solaris', 3), (3, 'Ubik', 0);

DELIMITER //
-- Does not commit: BEDS commits the effect together with the reply that it keeps.
CREATE OR REPLACE PROCEDURE sp_lend(IN p_book INT, OUT p_left INT)
MODIFIES SQL DATA
BEGIN
    UPDATE lib_books SET copies = copies - 1 WHERE book_no = p_book AND copies > 0;
    IF ROW_COUNT() = 0 THEN
        SIGNAL SQLSTATE '45001' SET MESSAGE_TEXT = 'no copy is left';
    END IF;
    SELECT copies INTO p_left FROM lib_books WHERE book_no = p_book;
END //
DELIMITER ;
