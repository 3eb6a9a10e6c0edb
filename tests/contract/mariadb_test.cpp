#include "contract/report.hpp"
#include "support/servers.hpp"

#include <beds/adapters/mariadb.hpp>
#include <beds/core/supervisor.hpp>

#include <mysql.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

using namespace beds;

namespace {

/// A database of its own on the shared server, gone at the end.
class database {
public:
    explicit database(const test::endpoint& server) : connection_(mysql_init(nullptr)) {
        if (mysql_real_connect(connection_.get(), server.host.c_str(), server.user.c_str(),
                               server.password.c_str(), nullptr, server.port, nullptr,
                               CLIENT_MULTI_STATEMENTS) == nullptr) {
            throw std::runtime_error{mysql_error(connection_.get())};
        }
        run("CREATE DATABASE " + name_ + " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
        run("USE " + name_);
        std::ifstream inbox{BEDS_INBOX_SQL};
        run(std::string{std::istreambuf_iterator<char>{inbox}, {}});
    }
    ~database() { mysql_query(connection_.get(), ("DROP DATABASE " + name_).c_str()); }
    database(const database&) = delete;
    database& operator=(const database&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }

    void run(const std::string& sql) {
        int more = mysql_real_query(connection_.get(), sql.data(), sql.size());
        while (more == 0) {
            if (MYSQL_RES* const rows = mysql_store_result(connection_.get())) {
                mysql_free_result(rows);
            }
            more = mysql_next_result(connection_.get());
        }
        if (more > 0) {
            throw std::runtime_error{std::string{mysql_error(connection_.get())} + ": " + sql};
        }
    }

private:
    struct close {
        void operator()(MYSQL* open) const { mysql_close(open); }
    };
    std::unique_ptr<MYSQL, close> connection_;
    std::string name_ = test::unique_name();
};

std::string column_type(const core::field_type& type) {
    using core::type_kind;
    const auto most = std::to_string(type.max);
    switch (type.kind) {
    case type_kind::boolean:
        return "BOOLEAN";
    case type_kind::int8:
        return "TINYINT";
    case type_kind::int16:
        return "SMALLINT";
    case type_kind::int32:
        return "INT";
    case type_kind::int64:
        return "BIGINT";
    case type_kind::uint8:
        return "TINYINT UNSIGNED";
    case type_kind::uint16:
        return "SMALLINT UNSIGNED";
    case type_kind::uint32:
        return "INT UNSIGNED";
    case type_kind::uint64:
        return "BIGINT UNSIGNED";
    case type_kind::float64:
        return "DOUBLE";
    case type_kind::decimal:
        return "DECIMAL(" + std::to_string(type.precision) + ',' + std::to_string(type.scale) + ')';
    case type_kind::string:
        return type.max == 0 || type.max > 1000 ? "MEDIUMTEXT" : "VARCHAR(" + most + ')';
    case type_kind::enumeration: {
        std::string values;
        for (const auto& value : type.values) {
            values += (values.empty() ? "'" : ",'") + value + '\'';
        }
        return "ENUM(" + values + ')';
    }
    case type_kind::uuid:
        return "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin";
    case type_kind::bytes:
        return type.max == 0 || type.max > 1000 ? "MEDIUMBLOB" : "VARBINARY(" + most + ')';
    case type_kind::date:
        return "DATE";
    case type_kind::time:
        return "TIME(6)";
    case type_kind::datetime:
        return "DATETIME(6)";
    case type_kind::json:
    case type_kind::document:
        return "JSON";
    }
    return {};
}

class mariadb_fixture final : public testing::conformance_fixture {
public:
    mariadb_fixture() : mariadb_fixture(test::require_mariadb()) {}

    [[nodiscard]] adapters::adapter& adapter() override { return *adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rel; }

    [[nodiscard]] adapters::session_context context(std::string name) override {
        return {.name = std::move(name),
                .supervisor = &supervisor_,
                .log = {observe::level::warning, [](const observe::log_record& record) {
                            std::printf("log: %.*s %.*s\n", static_cast<int>(record.id.size()),
                                        record.id.data(), static_cast<int>(record.text.size()),
                                        record.text.data());
                        }}};
    }

    void prepare(const templates::template_def& target) override {
        std::string columns;
        for (const auto& field : target.fields) {
            columns += '`' + field.column + "` " + column_type(field.type) +
                       (field.nullable ? " NULL" : " NOT NULL") +
                       (field.source == templates::generated::database ? " AUTO_INCREMENT" : "") +
                       ", ";
        }
        const auto list = [&target](const std::vector<templates::field_id>& fields) {
            std::string names;
            for (const auto field : fields) {
                names += (names.empty() ? "`" : ", `") + target.fields[field].column + '`';
            }
            return names;
        };
        std::string indexes;
        for (const auto& index : target.indexes) {
            indexes += (index.unique ? ", UNIQUE (" : ", KEY (") + list(index.fields) + ')';
        }
        database_.run("DROP TABLE IF EXISTS " + target.object + "; CREATE TABLE " + target.object +
                      " (" + columns + "PRIMARY KEY (" + list(target.key) + ')' + indexes +
                      ") ENGINE = InnoDB");
    }

    bool prepare_calls(const templates::template_def& target) override {
        const auto replace = [this](const std::string& name, const std::string& rest) {
            database_.run("DROP PROCEDURE IF EXISTS " + name);
            database_.run("CREATE PROCEDURE " + name + rest);
        };
        const auto& table = target.object;
        replace("conf_transfer",
                "(IN p_from BIGINT, IN p_to BIGINT, IN p_amount DECIMAL(18,2), "
                "OUT p_new_balance DECIMAL(18,2)) MODIFIES SQL DATA BEGIN "
                "DECLARE there INT; "
                "UPDATE " +
                    table +
                    " SET balance = balance + p_amount WHERE id = p_to; "
                    "UPDATE " +
                    table +
                    " SET balance = balance - p_amount WHERE id = p_from; "
                    "SELECT COUNT(*) INTO there FROM " +
                    table +
                    " WHERE id IN (p_from, p_to); "
                    "IF there < 2 THEN SIGNAL SQLSTATE '45002' SET MESSAGE_TEXT = 'no account'; "
                    "END IF; "
                    "SELECT balance INTO p_new_balance FROM " +
                    table +
                    " WHERE id = p_from; "
                    "IF p_new_balance < 0 THEN SIGNAL SQLSTATE '45001' "
                    "SET MESSAGE_TEXT = 'not enough'; END IF; END");
        replace("conf_statement", "(IN p_account BIGINT) READS SQL DATA BEGIN "
                                  "SELECT (SELECT COUNT(*) FROM " +
                                      table +
                                      ") AS accounts, "
                                      "(SELECT balance FROM " +
                                      table +
                                      " WHERE id = p_account) AS balance; "
                                      "SELECT id, owner FROM " +
                                      table + " WHERE id > p_account ORDER BY id; END");
        replace("conf_echo",
                "(IN p_word VARCHAR(100), IN p_number BIGINT, OUT o_word VARCHAR(100), "
                "OUT o_number BIGINT) NO SQL BEGIN "
                "SET o_word = p_word; SET o_number = p_number; END");
        return true;
    }

private:
    explicit mariadb_fixture(const test::endpoint& server)
        : database_(server), adapter_(adapters::make_mariadb("rel", settings(server))) {}

    [[nodiscard]] config::rel_service_settings settings(const test::endpoint& server) const {
        config::rel_service_settings made;
        made.host = server.host;
        made.port = server.port;
        made.user = server.user;
        made.pass = core::secret{server.password};
        made.database = database_.name();
        made.coalesce = test::mariadb_coalesce();
        return made;
    }

    database database_;
    core::supervisor supervisor_;
    std::shared_ptr<adapters::adapter> adapter_;
};

} // namespace

TEST_CASE("MariaDB keeps the contract of adapters") {
    mariadb_fixture fixture;
    tests::run_and_report(fixture);
}
