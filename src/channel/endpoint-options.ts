/**
 * The one place where a secret leaves its wrapper: on its way to whoever opens the connection.
 */
import type { EndpointConfig } from '../config/config.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';

export function endpointOptions(endpoint: EndpointConfig): EndpointOptions {
  const { mode, ca, cert, key } = endpoint.tls;
  return {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    password: endpoint.password.reveal(),
    tls: { mode, ca, cert, key: key?.reveal() },
    connectTimeoutMs: endpoint.connectTimeoutMs,
  };
}
