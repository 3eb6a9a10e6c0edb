#include "shop.hpp"
#include "support/catch.hpp"

#include <memory>

using namespace beds;
using namespace daemon_test;
using namespace std::chrono_literals;

TEST_CASE("scaffold writes what a table is as a template, and what it cannot say as comments") {
    const shop here;
    const auto orders = here.scaffold({"ms_orders"});
    INFO(orders.out << orders.err);
    REQUIRE(orders.code == 0);
    CHECK(orders.err.empty());
    for (const auto* part : {
             "name = \"orders\"\n",
             "object = \"ms_orders\"\n",
             "key = [\"id\"]\n",
             "tla = \"ord\"\n",
             "id       = { type = \"uint64\", generated = \"database\" }\n",
             "customer = { type = \"uuid\", required = true }\n",
             "state    = { type = \"enum\", values = [\"new\", \"it's paid\"], ",
             "nullable = false, default = \"new\" }",
             "total    = { type = \"decimal(18,2)\", nullable = false, default = \"0.00\" } "
             "# with tax\n",
             "note     = { type = \"string\", max = 200, collation = \"utf8mb4_general_ci\" }\n",
             "papers   = { type = \"json\" }\n",
             "open     = { type = \"bool\", nullable = false, default = true }\n",
             "created  = { type = \"datetime\", generated = \"now\" }\n",
             "changed  = { type = \"datetime\", generated = \"now\" } # the database renews it",
             "gross    = { type = \"decimal(18,2)\" } # the database computes it\n",
             "[[index]]\nfields = [\"customer\", \"created\"]\n",
             "[[index]]\nfields = [\"note\"]\nunique = true\n",
             "[protect]\nprotected = [\"changed\", \"gross\"]\n",
             "# Left out: index beginnings: it holds the beginnings of its columns only.\n",
         }) {
        INFO(part);
        CHECK(contains(orders.out, part));
    }

    const auto places = here.scaffold({"ms_places"});
    INFO(places.out << places.err);
    REQUIRE(places.code == 0);
    for (const auto* part : {
             "# Made from the table ms_places: where we are\n",
             "# Left out: column spot point: no type of a template holds what it may.\n",
             "# Left out: column bits bit(8): no type",
             "key = [\"land\", \"town\"]\n",
             "land   = { type = \"string\", max = 2, required = true }\n",
             "town   = { type = \"string\", max = 40, required = true, column = \"Town\" }\n",
             "ratio  = { type = \"double\", default = 0.5 }\n",
             "people = { type = \"int32\", default = 0 }\n",
             "fee    = { type = \"decimal(10,2)\", default = \"12.50\" }\n",
             "free   = { type = \"decimal(6,2)\", default = \"0.00\" }\n",
             "beds   = { type = \"uint32\", default = 7 }\n",
             "stars  = { type = \"double\", default = 3.5 }\n",
             "big    = { type = \"uint64\", default = \"18446744073709551615\" }\n",
             "# Left out: column how far int(11): no field can have its name.\n",
             "opened = { type = \"date\" } # the database's default is curdate()\n",
             "photo  = { type = \"bytes\", max = 16777215 }\n",
         }) {
        INFO(part);
        CHECK(contains(places.out, part));
    }
}

TEST_CASE("scaffold tells what a node would refuse, what is not there, and overwrites nothing") {
    const shop here;
    here.sql("CREATE VIEW ms_open AS SELECT id_ord, total_ord FROM ms_orders");
    const auto view = here.scaffold({"ms_open"});
    INFO(view.out);
    // No default of 0: it may be an AUTO_INCREMENT.
    CHECK(contains(view.out, "id    = { type = \"uint64\", nullable = false } # the default "
                             "behind the view is not seen\n"));
    const auto loose = here.scaffold({"ms_loose"});
    INFO(loose.out << loose.err);
    CHECK(loose.code == 0);
    CHECK(contains(loose.out, "# It has no primary key that a template can name"));
    CHECK(contains(loose.err, "a node refuses this until it is mended"));
    CHECK(contains(loose.err, "key"));

    const auto missing = here.scaffold({"ms_order"});
    INFO(missing.err);
    CHECK(missing.code == 1);
    CHECK(contains(missing.err, "'ms_order'"));
    CHECK(contains(missing.err, "did you mean 'ms_orders'"));

    const auto into = here.files.path("templates").string();
    CHECK(here.scaffold({"ms_orders", "--directory", into}).code == 0);
    const auto again = here.scaffold({"ms_orders", "--directory", into});
    CHECK(again.code == 1);
    CHECK(contains(again.err, "--overwrite"));
    // The others go on.
    const auto rest = here.scaffold({"--all", "--directory", into});
    CHECK(rest.code == 1);
    CHECK(std::filesystem::exists(here.files.path("templates/places.toml")));
    CHECK(here.scaffold({"ms_orders", "--directory", into, "--overwrite"}).code == 0);
    CHECK(here.scaffold({}).code == 2);
    CHECK(here.scaffold({"ms_orders", "--connection", "rle"}).code == 2);
    CHECK(here.scaffold({"ms_orders", "--directory", into + "/nowhere"}).code == 2);
}

TEST_CASE("what scaffold writes of all tables is served") {
    const shop here;
    here.sql("DROP VIEW ms_towns; DROP TABLE ms_loose;");
    const auto into = here.files.path("templates").string();
    const auto written = here.scaffold({"--all", "--directory", into});
    INFO(written.out << written.err);
    REQUIRE(written.code == 0);
    CHECK(std::filesystem::exists(here.files.path("templates/orders.toml")));
    CHECK(std::filesystem::exists(here.files.path("templates/places.toml")));

    const folder output;
    process bedsd{
        output, {BEDSD_PROGRAM, "--config", here.config}, {"TEST_AMQP_PASS=" + here.amqp.password}};
    const auto until = std::chrono::steady_clock::now() + soon;
    answer inserted;
    do {
        inserted = here.ask(
            {"call", "places", "insert", "land=MX", "town=Oaxaca", "people:=7", "--id", "oaxaca"});
        INFO(inserted.out << inserted.err << output.read("err"));
        REQUIRE(bedsd.wait(50ms) == -1);
        REQUIRE(std::chrono::steady_clock::now() < until);
    } while (inserted.code != 0);
    const auto place =
        here.ask({"call", "places", "fetch", R"(key:={"land":"MX","town":"Oaxaca"})"});
    INFO(place.out << place.err);
    CHECK(contains(place.out, R"("people":7)"));
    CHECK(contains(place.out, R"("ratio":0.5)"));

    const auto order = here.ask({"call", "orders", "insert",
                                 "customer=6ccd780c-baba-1026-9564-5b8c656024db", "total=10.00"});
    INFO(order.out << order.err);
    REQUIRE(order.code == 0);
    const auto found =
        here.ask({"call", "orders", "find", "customer=6ccd780c-baba-1026-9564-5b8c656024db"});
    INFO(found.out << found.err);
    for (const auto* part : {R"("id":1)", R"("state":"new")", R"("total":"10.00")",
                             R"("gross":"12.00")", R"("open":true)"}) {
        CHECK(contains(found.out, part));
    }
    const auto refused = here.ask({"call", "orders", "update", "key:=1", "gross=1.00"});
    CHECK(refused.code == 1);
}

TEST_CASE("check compares templates with the live tables, and says what to do") {
    const shop here;
    const auto into = here.files.path("templates").string();
    REQUIRE(here.scaffold({"ms_orders", "ms_places", "--directory", into}).code == 0);
    const auto check = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"check", "--config", here.config});
        return here.ask(std::move(arguments));
    };
    const auto fine = check({});
    INFO(fine.out << fine.err);
    CHECK(fine.code == 0);
    CHECK(contains(fine.out, "orders: as the database has it\n"));
    CHECK(contains(fine.out, "2 templates compared, 0 errors, 0 warnings\n"));

    // One change of the table, or of the template, at a time.
    struct change {
        const char* sql;
        const char* from; ///< in the template
        const char* to;
        const char* said;
        int code;
    };
    const auto orders = here.files.read("templates/orders.toml");
    for (const auto& each : std::initializer_list<change>{
             {"ALTER TABLE ms_orders DROP COLUMN papers_ord", "", "",
              "orders.toml:18: fields.papers.column: error: 'ms_orders' has no column 'papers_ord'",
              1},
             {"ALTER TABLE ms_orders ADD COLUMN papers_ord INT", "", "",
              "fields.papers.type: error: the template says json, column 'papers_ord' is int32", 1},
             {"ALTER TABLE ms_orders MODIFY papers_ord JSON", "", "",
              "2 templates compared, 0 errors, 0 warnings", 0},
             {"", "type = \"decimal(18,2)\", nullable", "type = \"decimal(20,2)\", nullable",
              "fields.total.type: warning: column 'total_ord' (decimal(18,2)) cannot hold every "
              "decimal(20,2)",
              0},
             {"", "max = 200", "max = 20", "may hold values that are no string of 20", 0},
             {"", "max = 200, collation = \"utf8mb4_general_ci",
              "max = 200, collation = \"utf8mb4_unicode_ci",
              "fields.note.collation: error: column 'note_ord' compares by 'utf8mb4_general_ci'",
              1},
             {"ALTER TABLE ms_orders MODIFY note_ord VARCHAR(200) COLLATE utf8mb4_general_ci NOT "
              "NULL",
              "", "", "fields.note.nullable: warning", 0},
             {"ALTER TABLE ms_orders MODIFY note_ord VARCHAR(200) COLLATE utf8mb4_general_ci "
              "DEFAULT NULL",
              "", "", "2 templates compared, 0 errors, 0 warnings", 0},
             {"ALTER TABLE ms_orders DROP KEY by_customer", "", "",
              "index[0]: error: 'ms_orders' has no index that begins with customer_ord, "
              "created_ord",
              1},
             {"ALTER TABLE ms_orders ADD KEY again (customer_ord, created_ord, state_ord)", "", "",
              "2 templates compared, 0 errors, 0 warnings", 0},
             {"ALTER TABLE ms_orders DROP KEY by_note, ADD KEY by_note (note_ord)", "", "",
              "index[1].unique: error: no unique index of 'ms_orders' is over note_ord", 1},
             {"ALTER TABLE ms_orders DROP KEY by_note, ADD UNIQUE KEY by_note (note_ord)", "", "",
              "2 templates compared, 0 errors, 0 warnings", 0},
             {"",
              "key = [\"id\"]\ntla = \"ord\"\n\n[fields]\nid       = { type = \"uint64\", "
              "generated = \"database\" }",
              "key = [\"customer\"]\ntla = \"ord\"\n\n[fields]\nid       = { type = \"uint64\" }",
              "template.key: error: no primary key and no unique index of 'ms_orders' tells rows "
              "apart by customer_ord",
              1},
             {"ALTER TABLE ms_orders ADD COLUMN who_ord INT NOT NULL", "", "",
              "fields: warning: column 'who_ord' of 'ms_orders' is not NULL", 0},
             {"ALTER TABLE ms_orders DROP COLUMN who_ord, ENGINE = Aria", "", "",
              "template.object: error: what is written to 'ms_orders' cannot be undone", 1},
             {"ALTER TABLE ms_orders ENGINE = InnoDB", "protected = [\"changed\", \"gross\"]",
              "protected = [\"changed\"]",
              "protect.protected: warning: column 'gross_ord' is the database's own: protect field "
              "'gross'",
              0},
         }) {
        if (*each.sql != '\0') {
            here.sql(each.sql);
        }
        auto text = orders;
        if (*each.from != '\0') {
            const auto at = text.find(each.from);
            REQUIRE(at != std::string::npos);
            text.replace(at, std::string_view{each.from}.size(), each.to);
        }
        here.files.write("templates/orders.toml", text);
        const auto said = check({});
        INFO(each.sql << each.to << '\n' << said.out << said.err);
        CHECK(contains(said.out, each.said));
        CHECK(said.code == each.code);
    }

    // Procedures and views, and the line-by-line picture.
    here.files.write("templates/orders.toml",
                     orders + "\n[calls.close]\nprocedure = \"sp_close\"\nclass = \"write\"\n"
                              "args = [[\"id\", \"int64\"]]\n");
    CHECK(
        contains(check({}).out, "calls.close.procedure: error: there is no procedure 'sp_close'"));
    here.sql("CREATE PROCEDURE sp_close(IN p_id BIGINT, IN p_why TEXT) MODIFIES SQL DATA "
             "UPDATE ms_orders SET open_ord = 0 WHERE id_ord = p_id");
    CHECK(contains(check({}).out, "calls.close.args: error: the template gives 1 argument, "
                                  "procedure 'sp_close' takes 2"));
    here.sql("ALTER TABLE ms_orders MODIFY total_ord DECIMAL(20,2) NOT NULL DEFAULT 0.00");
    const auto picture = check({"orders", "--diff"});
    INFO(picture.out << picture.err);
    CHECK(contains(picture.out, "- total    = { type = \"decimal(18,2)\""));
    CHECK(contains(picture.out, "+ total    = { type = \"decimal(20,2)\""));
    CHECK(contains(picture.out, "1 template compared"));
    CHECK(check({"order"}).code == 2);
    here.sql("DROP TABLE ms_orders");
    const auto gone = check({"orders"});
    CHECK(gone.code == 1);
    CHECK(contains(gone.out, "template.object: error: there is no table or view 'ms_orders'"));
}

TEST_CASE("what cannot be reached is named, with what its server said and what to look at") {
    const shop here;
    const auto port = std::to_string(here.mariadb.port);
    const auto right = here.files.read("beds.toml");
    const auto with = [&](const std::string& from, const std::string& to) {
        auto text = right;
        const auto at = text.find(from, text.find("[rel_services.rel]"));
        REQUIRE(at != std::string::npos);
        return here.files.write("wrong.toml", text.replace(at, from.size(), to)).string();
    };
    here.files.write("wrong_pass", "c4n4ry");
    const auto host = "host = " + in_quotes(here.mariadb.host);
    const struct {
        std::string from;
        std::string to;
        std::string place;
        std::string said;
        std::string look;
    } wrong[] = {
        {"port = " + port, "port = 1", here.mariadb.host + ":1 ", "(2002: ", "host and port"},
        {host, "host = \"nohost.invalid\"", "nohost.invalid:" + port, "(2005: ", "is `host` right"},
        {"\"pass\"", "\"wrong_pass\"", here.mariadb.host + ":" + port, "(1045: Access denied",
         "is the password"},
        {in_quotes(here.database), "\"no_such_db\"", "(database 'no_such_db', user '", "(10",
         "is `database` right"},
    };
    for (const auto& each : wrong) {
        const auto config = with(each.from, each.to);
        here.files.write("templates/orders.toml", "[template]\nname = \"orders\"\nstore = \"rel\"\n"
                                                  "object = \"ms_orders\"\nkey = [\"id\"]\n"
                                                  "[fields]\nid = { type = \"int64\" }\n");
        for (const auto& command : std::vector<std::vector<std::string>>{
                 {"scaffold", "ms_orders"}, {"scaffold", "--all"}, {"check"}}) {
            auto arguments = command;
            arguments.insert(arguments.end(), {"--config", config});
            const auto got = here.ask(arguments);
            INFO(each.to << ": " << got.out << got.err);
            CHECK(got.code == 3);
            CHECK(contains(got.err, "rel_services.rel at "));
            CHECK(contains(got.err, each.place));
            CHECK(contains(got.err, each.said));
            CHECK(contains(got.err, each.look));
            CHECK_FALSE(contains(got.err, "c4n4ry"));
        }
    }
    auto text = right;
    const auto amqp = "port = " + std::to_string(here.amqp.port);
    const auto config =
        here.files.write("wrong.toml", text.replace(text.find(amqp), amqp.size(), "port = 1"))
            .string();
    for (const auto& command :
         std::vector<std::vector<std::string>>{{"dlq", "list"}, {"describe"}}) {
        auto arguments = command;
        arguments.insert(arguments.end(), {"--config", config});
        const auto got = here.ask(arguments);
        INFO(got.err);
        CHECK(got.code == 3);
        CHECK(contains(got.err, "cannot use RabbitMQ at " + here.amqp.host + ":1 (vhost '"));
        CHECK(contains(got.err, "broker_services.app_server of "));
        CHECK(contains(got.err, "is RabbitMQ running, and are host and port right?"));
    }
}

TEST_CASE("schema --grants gives no right to write to a service that has no brokers for it") {
    const shop here;
    const auto into = here.files.path("templates").string();
    REQUIRE(here.scaffold({"ms_orders", "--directory", into}).code == 0);
    const auto grants = [&] {
        const auto said = here.ask({"schema", "--grants", "--config", here.config});
        REQUIRE(said.code == 0);
        return said.out;
    };
    CHECK(contains(grants(), "GRANT SELECT, INSERT, UPDATE, DELETE ON "));
    auto config = here.files.read("beds.toml");
    const std::string both = "{ read = 1, write = 1 }";
    config.replace(config.find(both), both.size(), "{ read = 1, write = 0 }");
    here.files.write("beds.toml", config);
    const auto reading = grants();
    INFO(reading);
    CHECK(contains(reading, "GRANT SELECT ON "));
    CHECK_FALSE(contains(reading, "INSERT"));
    CHECK_FALSE(contains(reading, "beds_inbox"));
}
