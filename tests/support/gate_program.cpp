// Gates for tests that are no C++: `beds_gate HOST:PORT...` listens on one free port of 127.0.0.1
// for each server and prints these ports in one line. Then each line of its input is a verb of one
// gate, answered with `done`, or with what is wrong with it:
//
//     N reset                     N freeze to_server|to_client   N delay DIRECTION MICROSECONDS
//     N stop_accepting            N thaw DIRECTION               N cut_after DIRECTION BYTES
//     N accept_again              N swallow DIRECTION            N corrupt DIRECTION ONE_IN SEED
//     MOST
//                                 N half_close DIRECTION         N corrupt_at DIRECTION BYTE
//
// N counts the servers from 0. It ends, and cuts everything, when its input ends.

#include "support/gate.hpp"

#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using beds::test::gate;

gate::direction direction_of(const std::string& word) {
    if (word == "to_server") {
        return gate::direction::to_server;
    }
    if (word == "to_client") {
        return gate::direction::to_client;
    }
    throw std::invalid_argument("no direction: '" + word + "'");
}

void act(gate& at, const std::string& verb, std::istream& words) {
    std::string direction;
    std::uint64_t number = 0;
    std::uint64_t seed = 0;
    std::uint64_t most = 0;
    if (verb == "reset") {
        at.reset();
    } else if (verb == "stop_accepting") {
        at.stop_accepting();
    } else if (verb == "accept_again") {
        at.accept_again();
    } else if (words >> direction; verb == "freeze") {
        at.freeze(direction_of(direction));
    } else if (verb == "thaw") {
        at.thaw(direction_of(direction));
    } else if (verb == "swallow") {
        at.swallow(direction_of(direction));
    } else if (verb == "delay" && words >> number) {
        at.delay(direction_of(direction),
                 std::chrono::microseconds{static_cast<std::int64_t>(number)});
    } else if (verb == "cut_after" && words >> number) {
        at.cut_after(direction_of(direction), number);
    } else if (verb == "half_close") {
        at.half_close(direction_of(direction));
    } else if (verb == "corrupt" && words >> number >> seed >> most) {
        at.corrupt(direction_of(direction), number, seed, most);
    } else if (verb == "corrupt_at" && words >> number) {
        at.corrupt_at(direction_of(direction), number);
    } else {
        throw std::invalid_argument("no verb: '" + verb + "'");
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        std::vector<std::unique_ptr<gate>> gates;
        for (int i = 1; i < argc; ++i) {
            const std::string server{argv[i]};
            const auto colon = server.rfind(':');
            gates.push_back(std::make_unique<gate>(
                server.substr(0, colon),
                static_cast<std::uint16_t>(std::stoul(server.substr(colon + 1)))));
            std::cout << (i == 1 ? "" : " ") << gates.back()->port();
        }
        std::cout << std::endl;
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words{line};
            std::size_t number = 0;
            std::string verb;
            try {
                if (!(words >> number >> verb) || number >= gates.size()) {
                    throw std::invalid_argument("no gate: '" + line + "'");
                }
                act(*gates[number], verb, words);
                std::cout << "done" << std::endl;
            } catch (const std::exception& wrong) {
                std::cout << wrong.what() << std::endl;
            }
        }
        return 0;
    } catch (const std::exception& wrong) {
        std::cerr << "beds_gate: " << wrong.what() << '\n';
        return 2;
    }
}
