// BEDS inside this process over the engine in memory: no server, no RabbitMQ, and the same
// template, checks and outcomes. The requests below work unchanged on MariaDB (2_embed_mariadb) and
// over RabbitMQ (3_client).
//
//   ./embed_memory

#include <beds/adapters/memory.hpp>
#include <beds/client/local_client.hpp>
#include <beds/templates/registry.hpp>

#include <iostream>

using namespace beds;
using client::members;

// The contract of one data domain. Usually it is a file that the DBA writes.
constexpr std::string_view books = R"toml(
[template]
name       = "books"
store      = "rel"
connection = "mem"
object     = "books"
key        = ["isbn"]
[fields]
isbn  = { type = "string", max = 13, required = true }
title = { type = "string", max = 80, required = true }
price = { type = "decimal(8,2)", required = true }
stock = { type = "int32", default = 0 }
[[index]]
fields = ["stock"]
)toml";

int wrong = 0;

void show(std::string_view what, const client::reply& got, bool right) {
    std::cout << (right ? "right  " : "WRONG  ") << what << "\n       " << got.json() << '\n';
    wrong += right ? 0 : 1;
}

int main() {
    const auto registry = std::make_shared<const templates::registry>(
        std::vector{templates::parse(books).parsed.value()});
    const auto beds = client::make_local_client(registry, {adapters::make_memory("mem")});

    auto got = beds->call(client::insert(
        "books", members{{"isbn", "9780441013593"}, {"title", "Dune"}, {"price", "9.90"}}));
    show("insert", got, got.front().effect() == core::effect::applied);

    client::request restock = client::update("books", "9780441013593", {});
    restock.operations[0].inc = client::value::object({{"stock", 5}});
    restock.id = "delivery-17"; // the idempotency key: sent twice, it happens once
    beds->call(restock);
    got = beds->call(restock);
    show("the same delivery booked twice", got, got.ok());

    got = beds->call(client::find("books", members{{"stock", client::value::object({{"ge", 1}})}}));
    show("find what is in stock", got,
         got.front().size() == 1 && got.front()[0].integer("stock") == 5);

    got = beds->call(client::update("books", "9780441013593", members{{"titel", "Dune Messiah"}}));
    show("a misspelt field", got, got.front().code() == core::code::invalid_field);

    return wrong == 0 ? 0 : 1;
}
