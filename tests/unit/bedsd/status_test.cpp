#include "support/catch.hpp"

#include <status.hpp>

using namespace beds::node;

TEST_CASE("the status names what is missing") {
    node_status status;
    CHECK(bedsd::status_text(status) == "stopped");
    status.live = true;
    CHECK(bedsd::status_text(status) == "live, not ready");
    status.dependencies = {{"rabbitmq app_server", true, false, "connection refused"},
                           {"database rel", true, true, ""},
                           {"database rec", false, false, ""}};
    CHECK(bedsd::status_text(status) == "live, not ready: rabbitmq app_server: connection refused");
    CHECK(bedsd::missing_text(status) == "rabbitmq app_server: connection refused");
    status.dependencies[0].ready = true;
    status.ready = true;
    CHECK(bedsd::status_text(status) == "ready; without database rec");
    status.dependencies[2].ready = true;
    CHECK(bedsd::status_text(status) == "ready");
    status.reload.at = std::chrono::system_clock::now();
    CHECK(bedsd::status_text(status) ==
          "ready; the last reload was refused, the templates of before are in force");
    status.reload.last.result = beds::node::reload_result::changed;
    CHECK(bedsd::status_text(status) == "ready");
    status.live = status.ready = false;
    status.stuck = {"node rel.read/0", "node rel.read/3"};
    CHECK(bedsd::status_text(status) == "stuck: node rel.read/0 node rel.read/3");
}
