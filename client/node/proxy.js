// The proxy of the environment that gRPC goes through: @grpc/grpc-js's rules, which it does not export.

import { BlockList, isIPv4 } from "node:net";

const VARIABLES = ["grpc_proxy", "https_proxy", "http_proxy"];

/** The environment variable that names the proxy for a server; undefined where there is none. */
export function proxyVariable(url) {
  const variable = VARIABLES.find((name) => process.env[name]);
  if (!variable || url.startsWith("unix:") || !isHttp(process.env[variable])) return undefined;
  const exceptions = process.env.no_grpc_proxy || process.env.no_proxy;
  const host = hostOf(url);
  const excepted = exceptions?.split(",").some((entry) => host.endsWith(entry) || isIn(host, entry));
  return excepted ? undefined : variable;
}

function hostOf(url) {
  const address = url.replace(/^dns:(\/\/[^/]*\/)?/, "");
  return address.match(/^\[(.*)\](:\d+)?$/)?.[1] ?? address.replace(/:\d+$/, "");
}

function isHttp(proxy) {
  return /^http:/i.test(proxy);
}

function isIn(host, network) {
  const [, address, bits] = network.match(/^([^/]+)\/(\d+)$/) ?? [];
  if (!isIPv4(host) || !isIPv4(address ?? "") || Number(bits) > 32) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(bits));
  return list.check(host);
}
