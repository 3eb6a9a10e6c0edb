#include "mongodb_grants.hpp"
#include "support/catch.hpp"
#include "support/folder.hpp"

#include <sstream>

using namespace bedsctl;
using beds::test::contains;

namespace {

class world {
public:
    world() {
        files_.write("orders.toml", R"([template]
name = "orders"
store = "rec"
object = "ms_orders"
key = ["id"]
[fields]
id = { type = "string", column = "_id" }
[read]
view = "orders_seen"
[calls.with_owners]
class = "read"
pipeline = '''[{"$lookup": {"from": "owners", "localField": "o", "foreignField": "_id", "as": "x"}},
  {"$facet": {"a": [{"$unionWith": "old_orders"}], "b": [{"$unionWith": {"coll": "older_orders"}}]}}]'''
[[calls.with_owners.returns]]
name = "rows"
fields = [["n", "int64"]]
)");
        files_.write("names.toml", R"([template]
name = "names"
store = "rec"
object = "names"
key = ["id"]
[fields]
id = { type = "string", column = "_id" }
)");
        settings.templates.directory = files_.root();
        auto& service = settings.broker_services["app_server"];
        service.instances["rec"] = {.read = 1, .write = 1, .bulk = 0};
        auto& database = settings.rec_services["rec"];
        database.database = "shop";
        database.user = "beds";
        database.auth_source = "admin";
    }
    void names(const std::string& more) const {
        files_.write("names.toml", "[template]\nname = \"names\"\nstore = \"rec\"\nobject = "
                                   "\"names\"\nkey = [\"id\"]\n" +
                                       more +
                                       "[fields]\nid = { type = \"string\", column = \"_id\" }\n"
                                       "gone = { type = \"datetime\" }\n");
    }
    [[nodiscard]] std::string print(const std::string& account = {}) const {
        std::ostringstream out;
        CHECK(print_mongodb_grants(out, settings, account) == exit_code::ok);
        return out.str();
    }

    beds::config::settings settings;

private:
    beds::test::folder files_;
};

} // namespace

TEST_CASE("MongoDB: the least rights are a role with what each collection needs") {
    const world here;
    CHECK(
        here.print() ==
        R"(// The least that the node needs in database "shop" of connection rec: run by mongosh on its server.
db = db.getSiblingDB("shop");
{
const privileges = [
  // names
  { resource: { db: "shop", collection: "names" }, actions: ["find", "insert", "listIndexes", "remove", "update"] },
  // orders, orders.with_owners
  { resource: { db: "shop", collection: "orders_seen" }, actions: ["find"] },
  // orders
  { resource: { db: "shop", collection: "ms_orders" }, actions: ["find", "insert", "listIndexes", "remove", "update"] },
  // orders.with_owners
  { resource: { db: "shop", collection: "owners" }, actions: ["find"] },
  // orders.with_owners
  { resource: { db: "shop", collection: "old_orders" }, actions: ["find"] },
  // orders.with_owners
  { resource: { db: "shop", collection: "older_orders" }, actions: ["find"] },
  // so that a write happens once
  { resource: { db: "shop", collection: "beds_inbox" }, actions: ["find", "insert", "listIndexes", "remove", "update"] },
  // to compare templates with what is there
  { resource: { db: "shop", collection: "" }, actions: ["listCollections"] },
];
if (db.getRole("beds_rec")) {
  db.updateRole("beds_rec", { privileges });
} else {
  db.createRole({ role: "beds_rec", privileges, roles: [] });
}
}
db.getSiblingDB("admin").grantRolesToUser("beds", [{ role: "beds_rec", db: "shop" }]);
)");
    CHECK(contains(here.print("someone"), "grantRolesToUser(\"someone\", "));
}

TEST_CASE("MongoDB: who only marks what is deleted gets no right to remove") {
    const world here;
    here.names("");
    CHECK(contains(here.print(), "collection: \"names\" }, actions: [\"find\", \"insert\", "
                                 "\"listIndexes\", \"remove\", \"update\"] }"));
    here.names("soft_delete = \"gone\"\n");
    CHECK(contains(here.print(), "collection: \"names\" }, actions: [\"find\", \"insert\", "
                                 "\"listIndexes\", \"update\"] }"));
}

TEST_CASE("MongoDB: a node that only reads gets no right to write") {
    world here;
    here.settings.broker_services["app_server"].instances["rec"] = {
        .read = 1, .write = 0, .bulk = 0};
    const auto said = here.print();
    for (const auto* action : {"\"insert\"", "\"update\"", "\"remove\"", "beds_inbox"}) {
        CHECK_FALSE(contains(said, action));
    }
    here.settings.rec_services["rec"].user.clear();
    CHECK(contains(here.print(), "// db.getSiblingDB(\"admin\").grantRolesToUser(\"USER\", "));
}
