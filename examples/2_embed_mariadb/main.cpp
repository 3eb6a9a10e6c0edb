// BEDS inside this process over MariaDB, without RabbitMQ: what a service does that has the
// database beside it and wants the contract, not the SQL.
//
//   mariadb library < schema.sql
//   mariadb library < /where/beds/is/installed/share/beds/sql/mariadb/inbox.sql
//   BEDS_MARIADB_URI=mysql://user:password@host:3306/library ./embed_mariadb templates

#include <beds/adapters/mariadb.hpp>
#include <beds/client/local_client.hpp>
#include <beds/templates/registry.hpp>

#include <cstdlib>
#include <iostream>
#include <regex>

using namespace beds;
using client::members;

int wrong = 0;

void show(std::string_view what, const client::reply& got, bool right) {
    std::cout << (right ? "right  " : "WRONG  ") << what << "\n       " << got.json() << '\n';
    wrong += right ? 0 : 1;
}

int main(int argc, char** argv) {
    const char* uri = std::getenv("BEDS_MARIADB_URI");
    std::cmatch part;
    if (argc != 2 || uri == nullptr ||
        !std::regex_match(uri, part, std::regex{"mysql://(.*):(.*)@(.*):(\\d+)/(\\w+)"})) {
        std::cerr << "usage: BEDS_MARIADB_URI=mysql://user:password@host:port/database "
                     "embed_mariadb TEMPLATES\n";
        return 2;
    }
    config::rel_service_settings database;
    database.user = part[1];
    database.pass = core::secret{part[2]};
    database.host = part[3];
    database.port = static_cast<std::uint16_t>(std::stoi(part[4]));
    database.database = part[5];

    templates::load_settings files;
    files.directory = argv[1];
    const auto loaded = templates::load(files);
    for (const auto& problem : loaded.problems) {
        std::cerr << to_string(problem) << '\n';
    }
    const auto beds =
        client::make_local_client(loaded.templates, {adapters::make_mariadb("rel", database)});

    auto got = beds->call(client::fetch("books", 2));
    show("fetch", got, got.front().size() == 1 && got.front()[0].text("title") == "Solaris");

    got = beds->call({{client::call("books", "lend", members{{"book", 1}}),
                       client::call("books", "lend", members{{"book", 2}})},
                      core::envelope_mode::atomic});
    show("lend two books, both or none", got, got.ok());

    got = beds->call({{client::call("books", "lend", members{{"book", 2}}),
                       client::call("books", "lend", members{{"book", 3}})},
                      core::envelope_mode::atomic});
    show("no copy of the second: neither is lent", got,
         got.size() == 2 && got[1].reason() == "NO_COPY_LEFT");

    got = beds->call(client::update("books", 2, members{{"copies", 99}}));
    show("copies are the DBA's to count", got, got.front().code() == core::code::invalid_field);

    got = beds->call(client::fetch("books", 2));
    show("two are left", got, got.front().size() == 1 && got.front()[0].integer("copies") == 2);
    return wrong == 0 ? 0 : 1;
}
