#include "adapters/mariadb/errors.hpp"
#include "adapters/mariadb/handles.hpp"
#include "support/catch.hpp"

using namespace beds::adapters::mariadb;
using beds::core::code;

TEST_CASE("errors by number", "[mariadb]") {
    CHECK(classify(1213).reach == reach::rerun);
    CHECK(classify(1969).reach == reach::expired);
    CHECK(classify(3024).reach == reach::expired);
    for (const unsigned number : {2006U, 2013U, 2014U, 2055U, 1927U, 1053U}) {
        CAPTURE(number);
        CHECK(classify(number).reach == reach::session);
    }
    const std::pair<unsigned, code> table[] = {
        {1062, code::duplicate_key},
        {1452, code::constraint},
        {1451, code::constraint},
        {4025, code::constraint},
        {3819, code::constraint},
        {1048, code::constraint},
        {1406, code::constraint},
        {1264, code::constraint},
        {1205, code::backend_conflict},
        {1142, code::backend_permission_denied},
        {1370, code::backend_permission_denied},
        {1114, code::backend_storage_full},
        {1021, code::backend_storage_full},
        {1290, code::backend_unavailable},
        {1040, code::backend_unavailable},
        {1153, code::limit_exceeded},
        {1054, code::backend_unavailable},
        {1146, code::backend_unavailable},
        {1305, code::backend_unavailable},
        {1318, code::backend_unavailable},
        {1356, code::backend_unavailable},
        {1423, code::backend_unavailable},
        {1471, code::backend_unavailable},
        {1364, code::constraint},
        {0, code::internal},
    };
    for (const auto& [number, wanted] : table) {
        CAPTURE(number);
        CHECK(classify(number).reach == reach::operation);
        CHECK(classify(number).code == wanted);
        CHECK_FALSE(classify(number).detail.empty());
    }
}

TEST_CASE("errors that end the transaction", "[mariadb]") {
    CHECK(classify(1213).reach == reach::rerun);
    CHECK(classify(1206).reach == reach::rerun);
    for (const unsigned unclear : {0U, 1146U, 1205U, 1114U, 1118U}) {
        CAPTURE(unclear);
        CHECK(may_end_transaction(unclear));
    }
    for (const unsigned clear : {1062U, 1452U, 1406U, 1142U, 1153U, 1305U, 1213U, 2013U}) {
        CAPTURE(clear);
        CHECK_FALSE(may_end_transaction(clear));
    }
}

TEST_CASE("what a COMMIT's error tells", "[mariadb]") {
    CHECK(commit_refused(1213));
    CHECK(commit_refused(1290));
    CHECK_FALSE(commit_refused(2013));
    CHECK_FALSE(commit_refused(2006));
    CHECK_FALSE(commit_refused(1317));
    CHECK_FALSE(commit_refused(1180));
    CHECK_FALSE(commit_refused(1053));
}

TEST_CASE("who is to blame", "[mariadb]") {
    CHECK(violated_key("Duplicate entry 'it's 'for key 'x'' for key 'by_owner'") == "by_owner");
    CHECK(violated_key("Duplicate entry '1' for key 'PRIMARY'") == "PRIMARY");
    CHECK(violated_key("Duplicate entry '1' for key 'accounts.PRIMARY'") == "PRIMARY");
    CHECK(violated_key("?").empty());
    CHECK(blamed_column(1048, "Column 'owner' cannot be null") == "owner");
    CHECK(blamed_column(1364, "Field 'owner' doesn't have a default value") == "owner");
    CHECK(blamed_column(1406, "Data too long for column 'owner' at row 1") == "owner");
    CHECK(blamed_column(1264, "Out of range value for column 'n' at row 3") == "n");
    CHECK(blamed_column(1366, "Incorrect integer value: 'for column `x`' for column "
                              "`db`.`t`.`n` at row 1") == "n");
    CHECK(blamed_column(1292, "Incorrect date value: 'x' for column 'd' at row 1") == "d");
    CHECK(blamed_column(1452, "Cannot add or update a child row: a foreign key constraint fails "
                              "(`db`.`t`, CONSTRAINT `f` FOREIGN KEY (`parent`) REFERENCES `p` "
                              "(`id`))") == "parent");
    CHECK(blamed_column(4025, "CONSTRAINT `accounts.balance` failed for `db`.`accounts`") ==
          "balance");
    CHECK(blamed_column(1690, "BIGINT value is out of range in 'x'").empty());
    CHECK(blamed_column(1048, "").empty());
}

TEST_CASE("connectors that cannot be trusted", "[mariadb]") {
    CHECK(known_bad_client(30303));
    CHECK_FALSE(known_bad_client(30304));
    CHECK_FALSE(known_bad_client(client_version()));
}

TEST_CASE("a full disk, however it is told", "[mariadb]") {
    const std::pair<unsigned, const char*> full[] = {
        {1021, "Disk full (/tmp/#sql); waiting for someone to free some space..."},
        {1114, "The table 't' is full"},
        {3, "Error writing file '/tmp/MYx' (Errcode: 28 \"No space left on device\")"},
        {20, "Disk is full writing '/tmp/MYx' (Errcode: 28 \"No space left on device\")"},
        {1005, "Can't create table `d`.`t` (errno: 28 \"No space left on device\")"},
        {1026, "Error writing file 'binlog' (errno: 28)"},
        {1030, "Got error 28 \"No space left on device\" from storage engine InnoDB"},
    };
    for (const auto& [number, message] : full) {
        CAPTURE(number);
        const auto what = classify(server_error{number, "HY000", message});
        CHECK(what.code == code::backend_storage_full);
        CHECK(what.reach == reach::operation);
    }
    CHECK(classify(server_error{1030, "HY000", "Got error 122 from storage engine"}).code ==
          code::internal);
    CHECK(classify(server_error{3, "HY000", "Error writing file 'x' (Errcode: 5)"}).code ==
          code::internal);
}
