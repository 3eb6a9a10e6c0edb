#include "integration/mongodb/fixture.hpp"
#include "papers.hpp"

#include <string>

using namespace beds;
using namespace beds::test;

// A mongod that cannot write its journal ends itself; so does the one of the tests.
TEST_CASE(
    "MongoDB's disk fills up: what was acknowledged is there, and the rest when there is room") {
    const auto rabbitmq = require_amqp();
    const small_disk disk{512};
    const private_servers own{{server::mongodb}, disk.root()};
    const auto uri = own.mongodb().uri + "?journal=true";
    mongodb::raw_database documents{uri, unique_name()};
    node_options options;
    options.mongodb = mongodb::settings_for(uri, documents.name());
    options.mongodb->connect_timeout = 2s;
    options.templates = {papers_template("rec", "_id")};
    running_node node{rabbitmq, nullptr, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    const auto client = node.new_client();

    disk.fill(std::uint64_t{16} << 20U);
    const auto told = fill_with_papers(*client);
    INFO(told.there << " papers\n" << told.last.json().substr(0, 400) << '\n' << node.log());
    CHECK(told.there > 500);
    CHECK(told.refused + told.unknown > 0);
    for (std::size_t i = 0; i < told.last.size(); ++i) {
        INFO(told.last[i].code_text());
        CHECK((told.last[i].ok() || told.last[i].code() == core::code::backend_storage_full ||
               told.last[i].code() == core::code::backend_unavailable));
    }
    CHECK(node.node().status().live);

    disk.make_room();
    own.start(server::mongodb);
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    // Of an insert that was begun and is not there nobody can tell whether it was, and was deleted.
    const auto again = client->call(papers(told.first), 10s);
    std::size_t there = 0;
    for (std::size_t i = 0; i < again.size(); ++i) {
        INFO(again[i].code_text());
        there += again[i].ok() ? 1U : 0U;
        CHECK((again[i].ok() || again[i].effect() == core::effect::unknown));
    }
    CHECK(client->call(papers(told.first + papers_a_request), 10s).ok());
    CHECK(documents.documents("papers").size() ==
          static_cast<std::size_t>(told.first + papers_a_request) + there);
}
