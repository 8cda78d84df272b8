"""The configuration files of a node's programs, as data."""

from pathlib import Path
from typing import Any

_EVICTING = ("imagefs.available", "memory.available", "nodefs.available", "nodefs.inodesFree")
PAUSE_IMAGE = "leasehold.test/pause:1"


def kubelet_config(authority: Path, cgroup_root: str, dns: str, runtime: str) -> dict[str, Any]:
    """KubeletConfiguration. A disk that is nearly full evicts nobody: it is the machine's, and not this node's."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_root}",
        "clusterDNS": [dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{runtime}",
        "evictionHard": dict.fromkeys(_EVICTING, "0%"),
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "nodeStatusUpdateFrequency": "2s",
        "resolvConf": "",
        "serializeImagePulls": False,
    }


def proxy_config(kubeconfig: Path, services: str) -> dict[str, Any]:
    """KubeProxyConfiguration. The limits on connections are the machine's, and are left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": "10.201.0.0/16",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "metricsBindAddress": "",
    }


def network_config(pods: str) -> dict[str, Any]:
    """A CNI configuration: each pod at the end of a veth of its own, so that all it sends passes kube-proxy's rules."""
    plugin = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": 1500,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}


def containerd_config(network: Path, plugins: Path, shims: Path) -> str:
    """containerd's own format. There is no CAP_SYS_RESOURCE to lower an OOM score with."""
    return f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{plugins}"]
conf_dir = "{network}"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{shims}/containerd-shim-runc-v2"
"""
