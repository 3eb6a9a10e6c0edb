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

void check_calls(client::client& through, std::size_t calls, std::uint64_t seed) {
    test::random_engine random{seed};
    for (std::size_t done = 0; done < calls;) {
        std::vector<client::operation> several;
        std::vector<std::vector<std::string>> wanted;
        for (; several.size() < 50; ++done) {
            auto& expected = wanted.emplace_back();
            client::members args;
            for (const auto& field : test::typed_fields()) {
                const auto value =
                    random() % 10 == 0 ? test::sample{"null", "null"} : field.make(random);
                args.emplace_back(field.name, client::value::from_json(value.sent));
                expected.push_back(test::canonical(value.wanted));
            }
            several.push_back(client::call("everything", "echo", std::move(args)));
        }
        const auto reply = through.call(client::request{std::move(several)}, 60s);
        for (std::size_t i = 0; i < reply.size(); ++i) {
            INFO(reply.json().substr(0, 2'000));
            REQUIRE(reply[i].ok());
            const auto* again = reply[i].set("again");
            REQUIRE(again != nullptr);
            REQUIRE(again->count == 1);
            for (std::size_t field = 0; field < wanted[i].size(); ++field) {
                const auto& name = test::typed_fields()[field].name;
                const auto* as_row = again->items()[0].find(name);
                const auto* as_out = reply[i].out()->find("out_" + name);
                INFO(name);
                REQUIRE(as_row != nullptr);
                REQUIRE(as_out != nullptr);
                REQUIRE(test::canonical(*as_row) == wanted[i][field]);
                REQUIRE(test::canonical(*as_out) == wanted[i][field]);
            }
        }
    }
}

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
    check_calls(*here.client, 1'000, test::chosen_seed());
    check_calls(*here.local, 1'000, test::chosen_seed());
}

TEST_CASE("fidelity on MariaDB: a document of 15 MiB") {
    mariadb_world here;
    test::check_large_document(*here.client, 1, 15U << 20);
    test::check_large_document(*here.local, 2, 15U << 20);
}
