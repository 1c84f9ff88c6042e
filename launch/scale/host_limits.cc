#include "launch/scale/host_limits.h"

#include <algorithm>
#include <iterator>

namespace lockstep::launch {
namespace {

/// The objects of an array, none where there is no such array.
std::vector<Json> ObjectsOf(const Json& object, const char* name) {
  std::vector<Json> objects;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return objects;
  std::copy_if(found->begin(), found->end(), std::back_inserter(objects),
               [](const Json& value) { return value.is_object(); });
  return objects;
}

}  // namespace

const LinkLimit* HostLimits::Find(const std::string& from, const std::string& to) const {
  const auto found = std::ranges::find_if(links, [&](const LinkLimit& l) { return l.from == from && l.to == to; });
  return found == links.end() ? nullptr : &*found;
}

std::vector<LinkLimit> HostLimits::BetweenHosts() const {
  std::vector<LinkLimit> between;
  std::ranges::copy_if(links, std::back_inserter(between), [](const LinkLimit& link) { return link.from != link.to; });
  return between;
}

Json HostLimitsJson(const HostLimits& limits) {
  Json hosts = Json::array(), links = Json::array();
  for (const HostLimit& host : limits.hosts)
    hosts.push_back({{"name", host.name},
                     {"cores", host.cores},
                     {"matrix_gflops", host.matrix_gflops},
                     {"copy_gb_s", host.copy_gb_s}});
  for (const LinkLimit& link : limits.links)
    links.push_back({{"from", link.from}, {"to", link.to}, {"gbit", link.gbit}, {"latency_us", link.latency_us}});
  return {{"hosts", hosts}, {"links", links}};
}

HostLimits ParseHostLimits(const Json& object) {
  HostLimits limits;
  if (!object.is_object()) return limits;
  for (const Json& host : ObjectsOf(object, "hosts"))
    if (!TextOr(host, "name").empty())
      limits.hosts.push_back({.name = TextOr(host, "name"),
                              .cores = FieldOr<int>(host, "cores", 0),
                              .matrix_gflops = NumberOr(host, "matrix_gflops"),
                              .copy_gb_s = NumberOr(host, "copy_gb_s")});
  for (const Json& link : ObjectsOf(object, "links")) {
    const LinkLimit read{.from = TextOr(link, "from"),
                         .to = TextOr(link, "to"),
                         .gbit = NumberOr(link, "gbit"),
                         .latency_us = NumberOr(link, "latency_us")};
    if (!read.from.empty() && !read.to.empty() && read.gbit > 0) limits.links.push_back(read);
  }
  return limits;
}

}  // namespace lockstep::launch
