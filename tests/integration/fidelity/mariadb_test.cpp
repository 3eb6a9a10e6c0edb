#include "round_trips.hpp"
#include "support/catch.hpp"
#include "support/running_node.hpp"

#include <beds/client/local_client.hpp>

using namespace beds;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t rows = 10'000;

/// All types but enum (arguments have none) in, and out twice: as OUT parameters and as a result
/// set.
struct echo_call {
    std::string in_template = "[calls.echo]\nprocedure = \"echo\"\nclass = \"read\"\n";
    std::string procedure;

    echo_call() {
        std::string args, out, set, parameters, results, body, columns;
        for (const auto& field : test::typed_fields()) {
            const bool is_enum = field.type == "enum";
            const auto type = is_enum ? std::string{"string"} : field.type;
            const auto column = is_enum ? std::string{"VARCHAR(60)"} : field.column;
            const char* comma = args.empty() ? "" : ", ";
            args += comma + std::string{"[\""} + field.name + "\", \"" + type + "\"]";
            out += comma + std::string{"[\"out_"} + field.name + "\", \"" + type + "\"]";
            parameters += comma + std::string{"IN p_"} + field.name + ' ' + column;
            results += std::string{", OUT r_"} + field.name + ' ' + column;
            body += "SET r_" + field.name + " = p_" + field.name + ';';
            columns += comma + std::string{"p_"} + field.name;
        }
        in_template += "args = [" + args + "]\nout = [" + out +
                       "]\n[[calls.echo.returns]]\nname = \"again\"\nfields = [" + args + "]\n";
        procedure = "DELIMITER //\nCREATE PROCEDURE echo(" + parameters + results +
                    ") READS SQL DATA BEGIN " + body + " SELECT " + columns +
                    "; END//\nDELIMITER ;\n";
    }
};

class mariadb_world {
public:
    mariadb_world()
        : rabbitmq(test::require_amqp()), control(test::shared_servers()),
          data(test::require_mariadb(), control) {
        const echo_call echo;
        std::string columns;
        for (const auto& field : test::typed_fields()) {
            columns += ", " + field.name + ' ' + field.column;
        }
        data.sql("CREATE TABLE everything (id BIGINT PRIMARY KEY" + columns + ") ENGINE=InnoDB;\n" +
                 echo.procedure);
        test::node_options options;
        options.templates = {test::everything_template("rel", echo.in_template)};
        const auto rel = data.settings();
        running = std::make_unique<test::running_node>(rabbitmq, &rel, options);
        REQUIRE(running->node().wait_ready(core::deadline::after(30s)));
        client = running->new_client();
        local = client::make_local_client(running->node().registry(), running->node().adapters());
    }

    test::endpoint rabbitmq;
    test::server_control control;
    test::database data;
    std::unique_ptr<test::running_node> running;
    std::unique_ptr<client::client> client;
    std::unique_ptr<client::client> local;
};

} // namespace

TEST_CASE(
    "fidelity on MariaDB: 10,000 random rows of every type come back exactly, over RabbitMQ") {
    mariadb_world here;
    test::check_rows(*here.client, 0, rows, test::chosen_seed());
    CHECK(here.data.number("SELECT COUNT(*) FROM everything") == rows);
}

TEST_CASE("fidelity on MariaDB: 10,000 random rows of every type come back exactly, in process") {
    mariadb_world here;
    test::check_rows(*here.local, 0, rows, test::chosen_seed());
    CHECK(here.data.number("SELECT COUNT(*) FROM everything") == rows);
}

TEST_CASE("fidelity on MariaDB: arguments, out parameters and result sets are exact") {
    mariadb_world here;
    const auto calls = test::in_full() ? rows : 1'000;
    test::check_calls(*here.client, calls, test::chosen_seed());
    test::check_calls(*here.local, calls, test::chosen_seed());
}

TEST_CASE("fidelity on MariaDB: a document of 15 MiB") {
    mariadb_world here;
    test::check_large_document(*here.client, 1, 15U << 20);
    test::check_large_document(*here.local, 2, 15U << 20);
}
