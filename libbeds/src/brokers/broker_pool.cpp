#include <beds/brokers/broker_pool.hpp>

namespace beds::brokers {

broker_pool::broker_pool(const broker_settings& each, std::uint32_t size,
                         const std::shared_ptr<const factory::template_set>& set,
                         std::vector<std::shared_ptr<adapters::adapter>> adapters,
                         const adapters::session_context& context)
    : connection_(each.connection), op_class_(each.op_class), ordered_(!each.lanes.empty()) {
    for (std::uint32_t i = 0; i < size; ++i) {
        auto own = each;
        own.name = each.name + "/" + std::to_string(i);
        own.quarantine = each.quarantine && i == 0;
        brokers_.push_back(std::make_unique<broker>(std::move(own), set, adapters, context));
    }
}

void broker_pool::start() {
    for (const auto& one : brokers_) {
        one->start();
    }
}

void broker_pool::stop(core::deadline until) {
    for (const auto& one : brokers_) {
        one->stop(until);
    }
}

void broker_pool::join() {
    for (const auto& one : brokers_) {
        one->join();
    }
}

} // namespace beds::brokers
