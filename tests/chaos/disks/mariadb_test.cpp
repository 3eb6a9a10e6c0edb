#include "papers.hpp"

using namespace beds;
using namespace beds::test;

TEST_CASE(
    "MariaDB's disk fills up: told as such, nothing half done, and served when there is room") {
    const auto rabbitmq = require_amqp();
    const small_disk disk{192};
    const private_servers own{{server::mariadb}, disk.root()};
    const database data{own.mariadb(), own};
    data.sql("CREATE TABLE papers (id BIGINT PRIMARY KEY, text VARCHAR(6000) CHARACTER SET latin1 "
             "NOT NULL) ENGINE=InnoDB");
    const auto rel = data.settings();
    node_options options;
    options.templates = {papers_template("rel", "id")};
    running_node node{rabbitmq, &rel, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    const auto client = node.new_client();

    disk.fill(std::uint64_t{16} << 20U);
    const auto told = fill_with_papers(*client);
    INFO(told.there << " papers\n" << told.last.json().substr(0, 400) << '\n' << node.log());
    CHECK(told.there > 500);
    CHECK(told.refused > 0);
    CHECK(told.unknown == 0);
    for (std::size_t i = 0; i < told.last.size(); ++i) {
        CHECK((told.last[i].ok() || told.last[i].code() == core::code::backend_storage_full));
    }
    // What is there can be read, and the node is ready to.
    CHECK(client->call(client::fetch("papers", 0), 5s).ok());
    CHECK(node.node().status().ready);
    CHECK(data.number("SELECT COUNT(*) FROM papers") == told.there);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == told.there);

    disk.make_room();
    const auto again = client->call(papers(told.first), 10s);
    INFO(again.json().substr(0, 400));
    CHECK(again.ok());
    CHECK(data.number("SELECT COUNT(*) FROM papers") == told.there + told.refused);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == told.there + told.refused);
}
