#include "faults/fixture.hpp"

using namespace beds;
using namespace beds::test;

namespace {

constexpr std::string_view papers_template = R"toml(
[template]
name  = "papers"
store = "rel"
object = "papers"
key   = ["id"]
[fields]
id   = { type = "int64", required = true }
text = { type = "string", max = 6000, required = true }
)toml";

/// Rows that stay within a page: InnoDB ends the server when the disk is full in a larger value.
client::request papers(std::int64_t first) {
    client::request made;
    for (std::int64_t id = first; id < first + 50; ++id) {
        made.operations.push_back(client::insert(
            "papers", client::members{{"id", id}, {"text", std::string(6000, 'x')}}));
    }
    made.id = "papers-" + std::to_string(first);
    return made;
}

} // namespace

TEST_CASE(
    "MariaDB's disk fills up: told as such, nothing half done, and served when there is room") {
    const auto small = private_servers::mariadb_with_space(128);
    const database data{small.mariadb(), small};
    data.sql("CREATE TABLE papers (id BIGINT PRIMARY KEY, text VARCHAR(6000) CHARACTER SET latin1 "
             "NOT NULL) ENGINE=InnoDB; CREATE TABLE ballast LIKE papers; "
             "INSERT INTO ballast SELECT seq, REPEAT('y', 6000) FROM seq_1_to_3000");
    const auto rel = data.settings();
    node_options options;
    options.templates = {std::string{papers_template}};
    running_node node{servers().amqp(), &rel, options};
    REQUIRE(node.node().wait_ready(core::deadline::after(20s)));
    const auto client = node.new_client();

    std::int64_t there = 0;
    std::int64_t first = 0;
    auto got = client->call(papers(first), 10s);
    for (; got.ok() && first < 20'000; got = client->call(papers(first), 10s)) {
        there += static_cast<std::int64_t>(got.size());
        first += 50;
    }
    INFO(there << " papers\n" << got.json().substr(0, 400) << '\n' << node.log());
    CHECK(there > 500);
    std::int64_t refused = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const auto one = got[i];
        if (one.ok()) {
            ++there;
            continue;
        }
        ++refused;
        CHECK(one.code() == core::code::backend_storage_full);
        CHECK(one.effect() == core::effect::none);
        CHECK(one.retryable());
        CHECK(one.retry_after() > 0ms);
    }
    CHECK(refused > 0);
    // What is there can be read, and the node is ready to.
    CHECK(client->call(client::fetch("papers", 0), 5s).ok());
    CHECK(node.node().status().ready);
    CHECK(data.number("SELECT COUNT(*) FROM papers") == there);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == there);

    data.sql("DROP TABLE ballast");
    const auto again = client->call(papers(first), 10s);
    INFO(again.json().substr(0, 400));
    CHECK(again.ok());
    CHECK(data.number("SELECT COUNT(*) FROM papers") == there + refused);
    CHECK(data.number("SELECT COUNT(*) FROM beds_inbox") == there + refused);
}
