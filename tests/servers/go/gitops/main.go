// Gitops applies a manifest as Flux's kustomize-controller does, and says what kstatus makes of objects.
//
//	gitops flux KUBECONFIG        the manifest on stdin; prints what was done with each object
//	gitops kstatus                a JSON list of objects on stdin; prints a JSON list of {status, message}
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	wholenumbers "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	controller = "kustomize-controller"
	group      = "kustomize.toolkit.fluxcd.io"
	timeout    = 2 * time.Minute
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(words []string) error {
	switch {
	case len(words) == 2 && words[0] == "flux":
		return apply(words[1])
	case len(words) == 1 && words[0] == "kstatus":
		return compute()
	}
	return fmt.Errorf("usage: gitops flux KUBECONFIG | gitops kstatus")
}

// apply is one reconciliation of a Kustomization that has these objects.
func apply(kubeconfig string) error {
	objects, err := utils.ReadObjects(os.Stdin)
	if err != nil {
		return err
	}
	cluster, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	manager := ssa.NewResourceManager(cluster, nil, ssa.Owner{Field: controller, Group: group})
	manager.SetOwnerLabels(objects, "tests", "flux-system")
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	changes, err := manager.ApplyAll(ctx, objects, options())
	if err != nil {
		return err
	}
	fmt.Println(changes)
	return nil
}

// options are those of the controller: it takes over whatever kubectl has set.
func options() ssa.ApplyOptions {
	update, applied := metav1.ManagedFieldsOperationUpdate, metav1.ManagedFieldsOperationApply
	chosen := ssa.DefaultApplyOptions()
	chosen.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{"kubectl.kubernetes.io/last-applied-configuration"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: applied},
			{Name: "kubectl", OperationType: update},
			{Name: "before-first-apply", OperationType: update},
			{Name: controller, OperationType: update},
		},
		Exclusions: map[string]string{group + "/ssa": "Merge"},
	}
	return chosen
}

func connect(kubeconfig string) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{})
}

// compute asks kstatus, as Flux and Helm do when they wait.
func compute() error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var objects []any
	if err := wholenumbers.Unmarshal(text, &objects); err != nil {
		return err
	}
	results := []map[string]string{}
	for _, object := range objects {
		fields, _ := object.(map[string]any)
		result, err := status.Compute(&unstructured.Unstructured{Object: fields})
		if err != nil {
			return err
		}
		results = append(results, map[string]string{"status": result.Status.String(), "message": result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}
